-- A short code under which a token's owner finds what their program was asked to confirm; one at a time.
--
-- KEYS: 1 the code of this token and class, 2 what a new code stands for
-- ARGV: 1 a new code, 2 what it stands for, 3 lifetime (s)
-- Returns the code that holds.

local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return ARGV[1]
