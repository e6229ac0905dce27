-- A factor of the user has confirmed the new identity: the old one is over, and its seat is free.
--
-- KEYS: 1 the new identity, 2 the old one, 3 and 4 when a credential was changed, of the user and of the new identity,
--       5 seats of the old partner, or none where it is the new one's too
-- ARGV: 1 user, 2 how long a change is known (s), 3 the session family that it is confirmed in, "" where nobody knows
-- Returns the family in which it was confirmed first, or "".

if ARGV[3] ~= '' then redis.call('HSETNX', KEYS[1], 'by', ARGV[3]) end
local by = redis.call('HGET', KEYS[1], 'by') or ''
if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' then return by end
redis.call('HSET', KEYS[1], 'state', 'confirmed')
redis.call('HSET', KEYS[2], 'state', 'gone')
local changed = redis.call('GET', KEYS[4])
if changed and tonumber(changed) > tonumber(redis.call('GET', KEYS[3]) or 0) then
  redis.call('SET', KEYS[3], changed, 'EX', ARGV[2])
end
if KEYS[5] then redis.call('ZREM', KEYS[5], ARGV[1]) end
return by
