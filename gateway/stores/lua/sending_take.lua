-- Takes what is due for a try, and puts it off to the next one before anybody tries: a crash loses no message.
--
-- KEYS: 1 the queue, 2 tries of each message
-- ARGV: 1 now (ms), 2 whether tries go on for ever (1) at the last wait, 3… how long to wait after each try (ms)
-- Returns {} where nothing is due, else {message, which try this is, 1 where it is the last}.

local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
local message = found[1]
if not message then return {} end
local try = redis.call('HINCRBY', KEYS[2], message, 1)
local wait = ARGV[2 + try]
if not wait and ARGV[2] == '1' then wait = ARGV[#ARGV] end
if not wait then
  redis.call('ZREM', KEYS[1], message)
  redis.call('HDEL', KEYS[2], message)
  return {message, try, 1}
end
redis.call('ZADD', KEYS[1], ARGV[1] + wait, message)
return {message, try, 0}
