-- Puts every token into the set of its user's, once ever.
--
-- KEYS: 1 all tokens, 2 the mark that it was done
-- Returns how many tokens were looked at.

if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local ids = redis.call('SMEMBERS', KEYS[1])
for _, id in ipairs(ids) do
  local user = redis.call('HGET', tag .. 't:' .. id, 'user')
  if user then redis.call('SADD', tag .. 'ut:' .. user, id) end
end
redis.call('SET', KEYS[2], 1)
return #ids
