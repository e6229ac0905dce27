-- Counts a try of a code before anybody looks at it, and hands out the factors that may accept it.
--
-- KEYS: 1 factors, 2 tries, 3 failures in a row, 4 what is known of each factor's clock (see totp_accept.lua)
-- ARGV: 1 the try (keyed hash of code and step), 2 now (ms), 3 window of tries (ms), 4 most tries, 5 most failures
-- Returns {"none"}, {"stopped"}, {"wait", ms} or {"go", factor id, sealed secret, clock, ...}.

local now, window = tonumber(ARGV[2]), tonumber(ARGV[3])
local held = redis.call('HGETALL', KEYS[1])
local usable, stopped = {}, false
for index = 1, #held, 2 do
  local id = string.match(held[index], '^totp:(.+)$')
  if id then
    if tonumber(redis.call('HGET', KEYS[3], id) or '0') >= tonumber(ARGV[5]) then
      stopped = true
    else
      usable[#usable + 1] = id
      usable[#usable + 1] = held[index + 1]
      usable[#usable + 1] = redis.call('HGET', KEYS[4], id) or ''
    end
  end
end
if #usable == 0 then return {stopped and 'stopped' or 'none'} end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - window))
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  local most = tonumber(ARGV[4])
  local tries = redis.call('ZCARD', KEYS[2])
  if tries >= most then
    local leaving = redis.call('ZRANGE', KEYS[2], tries - most, tries - most, 'WITHSCORES')
    return {'wait', math.max(1, tonumber(leaving[2]) + window - now)}
  end
  redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[2], window)
  for index = 1, #usable, 3 do redis.call('HINCRBY', KEYS[3], usable[index], 1) end
end
return {'go', unpack(usable)}
