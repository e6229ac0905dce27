-- Binds a credential to a user; each belongs to one person, ever.
--
-- KEYS: 1 factors of the user, 2 the factor, 3 whose the credential is,
--       4 the mark of removal of the factor that confirmed this change
-- ARGV: 1 factor id, 2 credential (JSON), 3 user, 4 most passkeys of one user, then names and values of the factor
-- Returns "bound", "taken", "full", or "stale" where the confirming factor was removed meanwhile.

if redis.call('EXISTS', KEYS[4]) == 1 then return 'stale' end
local held = 0
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(name, 1, 9) == 'webauthn:' then held = held + 1 end
end
if held >= tonumber(ARGV[4]) then return 'full' end
if redis.call('SET', KEYS[3], ARGV[3], 'NX') == false then return 'taken' end
redis.call('HSET', KEYS[1], 'webauthn:' .. ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 5))
return 'bound'
