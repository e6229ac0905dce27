-- Takes an invitation, once.
--
-- KEYS: 1 the invitation
-- Returns how the factor is bound, or "" where there is no invitation.

local bound = redis.call('HGET', KEYS[1], 'bound')
redis.call('DEL', KEYS[1])
return bound or ''
