-- Lets one of all workers fetch a document, and nobody again for a while.
--
-- KEYS: 1 when it was last fetched or tried
-- ARGV: 1 now, 2 seconds between two, 3 lifetime of the key (s)
-- Returns 1 for the one that may, 0 for the others.

local last = redis.call('GET', KEYS[1])
if last and tonumber(ARGV[1]) - tonumber(last) < tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1
