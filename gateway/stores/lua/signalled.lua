-- Ends a user's sessions, or those of one session of the partner's; drops what was confirmed with the user's tokens.
--
-- KEYS: 1 the user's session families, 2 the user's tokens
-- ARGV: 1 the partner's session id or "" for all
-- Returns how many sessions ended.

local ended = 0
for _, family in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if ARGV[1] == '' or redis.call('HGET', 'sf:' .. family, 'sid') == ARGV[1] then
    ended = ended + redis.call('DEL', 'sf:' .. family)
    redis.call('DEL', 'p:' .. family, 'kn:' .. family)
    redis.call('SREM', KEYS[1], family)
  end
end
if ARGV[1] == '' then
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do redis.call('DEL', 'p:' .. id) end
end
return ended
