-- Burns one step of one factor, once, and takes back the try that was right.
--
-- KEYS: 1 factors, 2 tries, 3 failures in a row, 4 used steps of the factor
-- ARGV: 1 the try, 2 now (ms), 3 factor id, 4 step, 5 the oldest step to remember, 6 memory of steps (s),
--       7 the try that a used code counts as, 8 window of tries (ms), 9 most failures
-- Returns "accepted", "used", or "gone" where the factor was removed meanwhile.

if redis.call('HEXISTS', KEYS[1], 'totp:' .. ARGV[3]) == 0 then return 'gone' end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[5])
local first = redis.call('ZADD', KEYS[4], 'NX', ARGV[4], ARGV[4]) == 1
redis.call('EXPIRE', KEYS[4], ARGV[6])
local taken_back = redis.call('ZREM', KEYS[2], ARGV[1]) == 1

local counters = redis.call('HGETALL', KEYS[3])
for index = 1, #counters, 2 do
  local failures = tonumber(counters[index + 1])
  local before = taken_back and failures - 1 or failures
  if first and before < tonumber(ARGV[9]) then
    redis.call('HDEL', KEYS[3], counters[index])
  elseif not first and taken_back and before >= 0 and before < tonumber(ARGV[9]) then
    redis.call('HINCRBY', KEYS[3], counters[index], -1)
  end
end
if first then return 'accepted' end

redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[7])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
return 'used'
