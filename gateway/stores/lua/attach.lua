-- Attaches a proof to a token of a person; it is kept for no longer than the token.
--
-- KEYS: 1 token, 2 its proofs
-- ARGV: 1 proof id, 2 proof (JSON), 3 now, 4 lifetime of proofs (s)
-- Returns 1, or 0 where the token does not exist, was revoked, or is a machine's.

local token = redis.call('HMGET', KEYS[1], 'kind', 'revoked_at')
if token[1] ~= 'person' or token[2] then return 0 end
local held = redis.call('HGETALL', KEYS[2])
for index = 1, #held, 2 do
  if cjson.decode(held[index + 1]).verified_at < tonumber(ARGV[3]) - tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[2], held[index])
  end
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local left = redis.call('TTL', KEYS[1])
redis.call('EXPIRE', KEYS[2], left >= 0 and math.min(left, tonumber(ARGV[4])) or ARGV[4])
return 1
