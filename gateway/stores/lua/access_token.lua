-- Makes a partner's access token known, as a token of its user that ends by itself.
--
-- KEYS: 1 the token by hash, 2 the token, 3 the user's tokens, 4 until when the user's tokens from partners are not good
-- ARGV: 1 the token's id, 2 for how long it is known (s), 3 when it was issued, 4... its fields (flat)
-- Returns 1 where it is new. One that is known keeps what it has, and that it was revoked.

local call = redis.call
local new = call('EXISTS', KEYS[2]) == 0
if new then
  local ended_at = call('GET', KEYS[4])
  call('HSET', KEYS[2], unpack(ARGV, 4))
  if ended_at and tonumber(ARGV[3]) <= tonumber(ended_at) then call('HSET', KEYS[2], 'revoked_at', ended_at) end
end
call('EXPIRE', KEYS[2], math.max(tonumber(ARGV[2]), call('TTL', KEYS[2])))
call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
for _, id in ipairs(call('SMEMBERS', KEYS[3])) do
  if call('EXISTS', tag .. 't:' .. id) == 0 then call('SREM', KEYS[3], id) end
end
call('SADD', KEYS[3], ARGV[1])
return new and 1 or 0
