-- Keeps a request or an answer for one taking, a few for each session family, token or user.
--
-- KEYS: 1 what is kept, 2 all that is kept for its owner
-- ARGV: 1 its id (hash), 2 what is kept, 3 now (ms), 4 lifetime (s), 5 most of one owner
-- Returns 1, or 0 where the owner keeps as many already.

local now, lives_ms = tonumber(ARGV[3]), tonumber(ARGV[4]) * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - lives_ms))
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then return 0 end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[4])
return 1
