-- Remembers that a user has signed in with a login, and forgets who did so longest ago.
--
-- KEYS: 1 when each user last did so, 2 since when, and as whom
-- ARGV: 1 user, 2 now (s), 3 as whom, sealed, 4 of how many users it is known, 5 for how long (s)

local call, user, now = redis.call, ARGV[1], tonumber(ARGV[2])
call('ZADD', KEYS[1], now, user)
call('HSETNX', KEYS[2], 'since:' .. user, ARGV[2])
call('HSET', KEYS[2], 'who:' .. user, ARGV[3])

local over = call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[5])
local known = call('ZRANGE', KEYS[1], 0, -1)
for index = 1, math.max(#over, #known - ARGV[4]) do
  call('ZREM', KEYS[1], known[index])
  call('HDEL', KEYS[2], 'since:' .. known[index], 'who:' .. known[index])
end
for _, name in ipairs(KEYS) do call('EXPIRE', name, ARGV[5]) end
return 1
