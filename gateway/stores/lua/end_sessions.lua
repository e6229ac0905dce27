-- Ends every session of a user, with its proofs.
--
-- KEYS: 1 the user's session families, 2 until when the user's sign-ins open nothing
-- ARGV: 1 now, 2 how long KEYS 2 is known (s)
-- Returns how many were there.

local ended = 0
for _, family in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  ended = ended + redis.call('DEL', tag .. 'sf:' .. family)
  redis.call('DEL', tag .. 'p:' .. family, tag .. 'kn:' .. family, tag .. 'so:' .. family)
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return ended
