-- A factor of the user has confirmed the new identity: the old one is over, and its seat is free.
--
-- KEYS: 1 the new identity, 2 the old one, 3 seats of the old partner, or none where it is the new one's too
-- ARGV: 1 user
-- Returns 1, or 0 where it was confirmed already.

if redis.call('HGET', KEYS[1], 'state') ~= 'waiting' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'confirmed')
redis.call('HSET', KEYS[2], 'state', 'gone')
if KEYS[3] then redis.call('ZREM', KEYS[3], ARGV[1]) end
return 1
