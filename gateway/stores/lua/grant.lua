-- Raises a user's limits for a time, at most by so many persons of one class in a day.
--
-- KEYS: 1 the user's grants
-- ARGV: 1 id, 2 grant (JSON: class, persons, until, made), 3 now, 4 a day (s), 5 most persons in a day, 6 lifetime (s)
-- Returns 1, or 0 where it would be more.

local now, day = tonumber(ARGV[3]), tonumber(ARGV[4])
local wanted = cjson.decode(ARGV[2])
local total = wanted.persons
local held = redis.call('HGETALL', KEYS[1])
for index = 1, #held, 2 do
  local grant = cjson.decode(held[index + 1])
  if grant.made > now - day then
    if grant.class == wanted.class then total = total + grant.persons end
  elseif grant['until'] <= now then
    redis.call('HDEL', KEYS[1], held[index])
  end
end
if total > tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[6]) then redis.call('EXPIRE', KEYS[1], ARGV[6]) end
return 1
