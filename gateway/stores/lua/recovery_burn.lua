-- Finds and burns one code (of recovery, or of a letter) in one step; one that is not there counts as a failed try of
-- any code.
--
-- KEYS: 1 the codes, 2 tries
-- ARGV: 1 keyed hash of the code, 2 the try, 3 now (ms), 4 window of tries (ms), 5 most tries
-- Returns {"none"}, {"wait", ms}, {"wrong"} or {"accepted", codes left}.

local now, window, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[1]) == 0 then return {'none'} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - window))
local tries = redis.call('ZCARD', KEYS[2])
if tries >= most then
  local leaving = redis.call('ZRANGE', KEYS[2], tries - most, tries - most, 'WITHSCORES')
  return {'wait', math.max(1, tonumber(leaving[2]) + window - now)}
end
if redis.call('SREM', KEYS[1], ARGV[1]) == 1 then return {'accepted', redis.call('SCARD', KEYS[1])} end
redis.call('ZADD', KEYS[2], 'NX', ARGV[3], ARGV[2])
redis.call('PEXPIRE', KEYS[2], window)
return {'wrong'}
