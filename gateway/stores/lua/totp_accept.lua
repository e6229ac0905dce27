-- Decides about a code whose step is known: burns the step and moves the drift, once, and takes back the try that was
-- right; or remembers that a code is right but far away.
--
-- KEYS: 1 factors, 2 tries, 3 failures in a row, 4 what is known of each factor's clock
-- ARGV: 1 the try, 2 now (ms), 3 factor id, 4 step, 5 the step of now, 6 steps around the drifted one that are good,
--       7 steps around it that are known, 8 how long the next code is awaited (ms),
--       9 the try that a used code counts as, 10 window of tries (ms), 11 most failures
-- A clock is "drift last far far_ms": steps, the last accepted step, a right code's step far away and when it came.
-- Returns "accepted"; "used" (this step or a later one was accepted before); "next" (the next code is awaited);
-- "wrong" (too far away, or the factor was removed meanwhile).

if redis.call('HEXISTS', KEYS[1], 'totp:' .. ARGV[3]) == 0 then return 'wrong' end
local now, step, current = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
local clock = redis.call('HGET', KEYS[4], ARGV[3]) or '0 -1 -1 0'
local drift, last, far, far_ms = string.match(clock, '^(-?%d+) (-?%d+) (-?%d+) (%d+)$')
drift, last, far, far_ms = tonumber(drift), tonumber(last), tonumber(far), tonumber(far_ms)

local function remember(...)
  redis.call('HSET', KEYS[4], ARGV[3], string.format('%.0f %.0f %.0f %.0f', ...))
end

local first = step > last
if first then
  local distance = math.abs(step - (current + drift))
  local awaiting = far >= 0 and now - far_ms <= tonumber(ARGV[8])
  if distance > tonumber(ARGV[6]) and not (awaiting and step == far + 1) then
    if distance > tonumber(ARGV[7]) then return 'wrong' end
    if not (awaiting and step == far) then remember(drift, last, step, now) end
    return 'next'
  end
  remember(step - current, step, -1, 0)
end
local taken_back = redis.call('ZREM', KEYS[2], ARGV[1]) == 1

local counters = redis.call('HGETALL', KEYS[3])
for index = 1, #counters, 2 do
  local failures = tonumber(counters[index + 1])
  local before = taken_back and failures - 1 or failures
  if first and before < tonumber(ARGV[11]) then
    redis.call('HDEL', KEYS[3], counters[index])
  elseif not first and taken_back and before >= 0 and before < tonumber(ARGV[11]) then
    redis.call('HINCRBY', KEYS[3], counters[index], -1)
  end
end
if first then return 'accepted' end

redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[9])
redis.call('PEXPIRE', KEYS[2], ARGV[10])
return 'used'
