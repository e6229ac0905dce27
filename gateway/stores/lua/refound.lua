-- Moves a session to a family of its own: every other cookie of the old one names nobody any more.
--
-- KEYS: 1 the cookie that goes on, 2 its new value, 3 the user's session families
-- ARGV: 1 the new family
-- Returns 1, or 0 where the cookie is unknown or has been changed.

local cookie = redis.call('HMGET', KEYS[1], 'family', 'until', 'sees')
if not cookie[1] or cookie[2] or redis.call('EXISTS', tag .. 'sf:' .. cookie[1]) == 0 then return 0 end
for _, kind in ipairs({tag .. 'sf:', tag .. 'p:', tag .. 'kn:', tag .. 'so:'}) do
  if redis.call('EXISTS', kind .. cookie[1]) == 1 then redis.call('RENAME', kind .. cookie[1], kind .. ARGV[1]) end
end
redis.call('SREM', KEYS[3], cookie[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[2], 'family', ARGV[1])
if cookie[3] then redis.call('HSET', KEYS[2], 'sees', cookie[3]) end
local left = redis.call('PTTL', tag .. 'sf:' .. ARGV[1])
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
redis.call('DEL', KEYS[1])
return 1
