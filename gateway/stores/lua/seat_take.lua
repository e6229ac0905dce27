-- Takes a seat at a partner for somebody who signs in, or keeps theirs.
--
-- KEYS: 1 seats of the partner, 2 first sight of the user, 3 freeze of the partner, 4 freeze of the user
-- ARGV: 1 now (s), 2 user, 3 seats there are or "", 4 seconds after which an idle seat is free, 5 seconds for which
--       somebody seen for the first time is new, or 0
-- Returns "known", "first", "full", or "frozen": whoever is stopped takes no seat.
--
-- A first sight is known for as long as it makes somebody new. Who comes back to a seat that was freed is new again.

local call = redis.call
if call('EXISTS', KEYS[3], KEYS[4]) > 0 then return 'frozen' end
local now_ms = math.floor(tonumber(ARGV[1]) * 1000)
local function ms(value) return string.format('%.0f', value) end

call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms(now_ms - tonumber(ARGV[4]) * 1000))
local known = call('ZSCORE', KEYS[1], ARGV[2])
if not known and ARGV[3] ~= '' and call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 'full' end
call('ZADD', KEYS[1], 'GT', ms(now_ms), ARGV[2])
if known then return 'known' end
if tonumber(ARGV[5]) > 0 then call('SET', KEYS[2], ARGV[1], 'EX', ARGV[5]) end
return 'first'
