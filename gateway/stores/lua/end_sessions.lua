-- Ends every session of a user, with its proofs.
--
-- KEYS: 1 the user's session families
-- Returns how many were there.

local ended = 0
for _, family in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  ended = ended + redis.call('DEL', tag .. 'sf:' .. family)
  redis.call('DEL', tag .. 'p:' .. family, tag .. 'kn:' .. family, tag .. 'so:' .. family)
end
redis.call('DEL', KEYS[1])
return ended
