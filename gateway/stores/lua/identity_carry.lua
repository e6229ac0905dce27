-- Lets a new identity be the user of an old one, unconfirmed; what was stopped or closed under it stays so.
--
-- KEYS: 1 the new identity, 2 the old one, 3 and 4 what is closed to the user, and under the new identity, 5 and 6 when a
--       credential was changed, the same, 7 and 8 seats of the old partner and of the new one, 9 and 10 freezes of the
--       user, and of the new identity, 11 all that is frozen
-- ARGV: 1 old identity, 2 new identity, 3 user, 4 now (s), 5 how long a change is known (s), 6 old partner, 7 new partner
-- Returns "carried", "already", or why not: "taken" (one of them is in another pair), "gone", "waiting".

local call = redis.call
local new, old = call('HMGET', KEYS[1], 'user', 'before'), call('HMGET', KEYS[2], 'user', 'state', 'after')
if new[1] and new[1] == ARGV[3] and new[2] == ARGV[1] then return 'already' end
if new[1] or (old[3] and old[3] ~= ARGV[2]) or (old[1] or ARGV[1]) ~= ARGV[3] then return 'taken' end
if old[2] == 'gone' or old[2] == 'waiting' then return old[2] end

call('HSET', KEYS[1], 'user', ARGV[3], 'state', 'waiting', 'before', ARGV[1], 'at', ARGV[4],
  'from', ARGV[6], 'to', ARGV[7])
call('HSET', KEYS[2], 'user', ARGV[3], 'after', ARGV[2])

if call('EXISTS', KEYS[10]) == 1 and call('EXISTS', KEYS[9]) == 0 then
  call('HSET', KEYS[9], unpack(call('HGETALL', KEYS[10])))
  call('SADD', KEYS[11], 'user:' .. ARGV[3])
end
local closed, changed = call('GET', KEYS[4]), call('GET', KEYS[6])
if closed then call('SET', KEYS[3], closed, 'NX') end
if changed and tonumber(changed) > tonumber(call('GET', KEYS[5]) or 0) then
  call('SET', KEYS[5], changed, 'EX', ARGV[5])
end
local seat = call('ZSCORE', KEYS[7], ARGV[3])
call('ZREM', KEYS[8], ARGV[2])
if seat then call('ZADD', KEYS[8], 'GT', seat, ARGV[3]) end
return 'carried'
