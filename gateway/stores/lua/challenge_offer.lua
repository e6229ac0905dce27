-- Names what somebody was asked to confirm; asked again, the same name holds. A credential has a few open at a time.
--
-- KEYS: 1 what is open for this credential, class and answer, 2 all that is open for the credential
-- ARGV: 1 a new name, 2 its hash, 3 what it stands for, 4 now (ms), 5 lifetime (s), 6 most of one credential
-- Returns the name that holds. Beyond the most, the one that was opened first is over.

local now, lives_ms = tonumber(ARGV[4]), tonumber(ARGV[5]) * 1000
local held = redis.call('HMGET', KEYS[1], 'name', 'hash')
if held[1] and redis.call('EXISTS', tag .. 'dh:' .. held[2]) == 1 then return held[1] end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - lives_ms))
while redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) do
  redis.call('DEL', tag .. 'dh:' .. redis.call('ZPOPMIN', KEYS[2])[1])
end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('SET', tag .. 'dh:' .. ARGV[2], ARGV[3], 'EX', ARGV[5])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'name', ARGV[1], 'hash', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return ARGV[1]
