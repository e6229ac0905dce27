-- Gives a session a new id, with a proof where one was made. The old id keeps for a while what it had before.
--
-- KEYS: 1 old cookie, 2 new cookie
-- ARGV: 1 now, 2 seconds that the old id lives on, 3 proof id or "", 4 proof (JSON),
--       5 lifetime of proofs (s), 6 idle lifetime of sessions that say none (s)
-- Returns 1, or 0 where the id is unknown, over, or has been changed already.
--
-- A proof is kept behind its number within the family and a colon; an id sees the numbers up to its `sees`: what was
-- confirmed before it was given. A stolen one gains nothing by what its person confirms later.

local now = tonumber(ARGV[1])
local cookie = redis.call('HMGET', KEYS[1], 'family', 'until')
if not cookie[1] or cookie[2] then return 0 end
local family = tag .. 'sf:' .. cookie[1]
local session = redis.call('HMGET', family, 'seen', 'expires_at', 'proofs', 'idle_s')
local idle = tonumber(session[4] or ARGV[6])
if not session[1] or now >= tonumber(session[2]) or now - tonumber(session[1]) >= idle then return 0 end

local number = tonumber(session[3])
redis.call('HSET', KEYS[1], 'until', ARGV[1] + ARGV[2], 'sees', number)
local left = redis.call('PTTL', family)
redis.call('HSET', KEYS[2], 'family', cookie[1], 'sees', ARGV[3] ~= '' and number + 1 or number)
if left > 0 then redis.call('PEXPIRE', KEYS[2], left) end
redis.call('EXPIRE', KEYS[1], ARGV[2] * 2)
redis.call('HSET', family, 'seen', ARGV[1])
if ARGV[3] ~= '' then
  redis.call('HSET', tag .. 'p:' .. cookie[1], ARGV[3], redis.call('HINCRBY', family, 'proofs', 1) .. ':' .. ARGV[4])
  redis.call('EXPIRE', tag .. 'p:' .. cookie[1], ARGV[5])
end
return 1
