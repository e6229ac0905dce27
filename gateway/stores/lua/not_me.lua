-- A person says that it was not them: everything of theirs but this session ends, and what is sensitive closes.
--
-- KEYS: 1 the user's session families, 2 the user's tokens, 3 what is closed to the user, 4 until when the user's tokens
-- from partners are not good
-- ARGV: 1 user, 2 the family that goes on, 3 now, 4 the class from which all is closed, 5 how long 4 is known (s)
-- Returns {sessions ended, tokens revoked}.

local user, mine = ARGV[1], ARGV[2]
local sessions, tokens = 0, 0
for _, family in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  redis.call('DEL', tag .. 'p:' .. family)
  if family ~= mine then
    sessions = sessions + redis.call('DEL', tag .. 'sf:' .. family)
    redis.call('DEL', tag .. 'kn:' .. family, tag .. 'so:' .. family)
    redis.call('SREM', KEYS[1], family)
  end
end
redis.call('DEL', tag .. 'p:' .. mine)
for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local token = redis.call('HMGET', tag .. 't:' .. id, 'user', 'revoked_at')
  if token[1] == user then
    redis.call('DEL', tag .. 'p:' .. id)
    if not token[2] then
      redis.call('HSET', tag .. 't:' .. id, 'revoked_at', ARGV[3])
      tokens = tokens + 1
    end
  end
end
redis.call('SET', KEYS[3], ARGV[4])
redis.call('SET', KEYS[4], ARGV[3], 'EX', ARGV[5])
return {sessions, tokens}
