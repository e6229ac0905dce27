-- Lets a user bind a first factor once: made by somebody else, a few a day, and never in a circle.
--
-- KEYS: 1 the invitation, 2 whom the inviter has invited
-- ARGV: 1 user, 2 inviter, 3 role of the inviter, 4 "1" where both stand in one room, 5 now (ms), 6 a day (ms),
--       7 most a day, 8 lifetime of an invitation (s), 9 how long is known who invited whom (s)
-- Returns "remote" or "vouched" (how the factor will be bound), or "self", "circle", "full".
--
-- Vouched: a referent and an officer, two people, each with the person before them.

local user, by, role, here, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if user == by then return 'self' end
local above, known, looked = {by}, {[by] = true}, 0
while #above > 0 and looked < 200 do
  local one = table.remove(above)
  looked = looked + 1
  for _, inviter in ipairs(redis.call('SMEMBERS', tag .. 'iw:' .. one)) do
    if inviter == user then return 'circle' end
    if not known[inviter] then
      known[inviter] = true
      above[#above + 1] = inviter
    end
  end
end

local before = redis.call('HMGET', KEYS[1], 'by', 'role', 'here', 'bound')
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - tonumber(ARGV[6])))
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[7]) and not redis.call('ZSCORE', KEYS[2], user) then return 'full' end
redis.call('ZADD', KEYS[2], ARGV[5], user)
redis.call('PEXPIRE', KEYS[2], ARGV[6])

local bound = 'remote'
local other = before[1] and before[1] ~= by and before[2] ~= role
if before[4] == 'vouched' or (other and before[3] == '1' and here == '1') then bound = 'vouched' end
redis.call('HSET', KEYS[1], 'by', by, 'role', role, 'here', here, 'bound', bound)
redis.call('EXPIRE', KEYS[1], ARGV[8])
redis.call('SADD', tag .. 'iw:' .. user, by)
redis.call('EXPIRE', tag .. 'iw:' .. user, ARGV[9])
return bound
