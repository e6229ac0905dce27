-- Everything about a caller in one round trip.
--
-- KEYS: 1 the credential (token by hash, session cookie, or the session's family)
-- ARGV: 1 "token" or "session", 2 now, 3 idle lifetime of sessions that say none (s), 4 seconds between writes of the
-- last use, 5 the family's id, 6 up to which confirmation it is seen: both only for a family
-- Returns {} where nobody is known, else {id, caller (flat hash), proofs, grants, what is frozen or "", "over" or "",
-- the class from which all is closed or "", where the session is known to be used from, when their partner said that
-- a credential was changed or "", up to which confirmation this cookie sees or "", when the user was first seen or "",
-- when everything of theirs was last ended or "",
-- the partner with whose limits those of the caller's partner are counted or ""}.

local call = redis.call
local now = tonumber(ARGV[2])
local id, caller, proofs, over, sees = nil, nil, {}, '', ''

local function field(name)
  for index = 1, #caller, 2 do
    if caller[index] == name then return caller[index + 1] end
  end
  return nil
end

if ARGV[1] == 'token' then
  id = call('GET', KEYS[1])
  if not id then return {} end
  caller = call('HGETALL', tag .. 't:' .. id)
  proofs = call('HVALS', tag .. 'p:' .. id)
else
  local cookie = ARGV[5] and {ARGV[5], false, ARGV[6]} or call('HMGET', KEYS[1], 'family', 'until', 'sees')
  id, sees = cookie[1], cookie[3] or ''
  if not id or (cookie[2] and now >= tonumber(cookie[2])) then return {} end
  caller = call('HGETALL', tag .. 'sf:' .. id)
  if #caller == 0 then return {} end
  local ended = call('GET', tag .. 'pe:' .. field('partner') .. ' ' .. field('issuer'))
  if ended and tonumber(field('issued_at')) <= tonumber(ended) then return {} end
  local seen = tonumber(field('seen'))
  if now - seen >= tonumber(field('idle_s') or ARGV[3]) then
    over = 'over'
  elseif now - seen >= tonumber(ARGV[4]) then
    call('HSET', tag .. 'sf:' .. id, 'seen', ARGV[2])
  end
  for _, text in ipairs(call('HVALS', tag .. 'p:' .. id)) do
    local number, proof = string.match(text, '^(%d+):(.*)$')
    if not cookie[3] or tonumber(number) <= tonumber(cookie[3]) then proofs[#proofs + 1] = proof end
  end
end
if #caller == 0 then return {} end

-- What a factor confirmed that was taken away since opens nothing more.
for index = #proofs, 1, -1 do
  local factor = cjson.decode(proofs[index]).factor_id
  if factor and factor ~= '' and call('EXISTS', tag .. 'fx:' .. factor) == 1 then table.remove(proofs, index) end
end

local frozen = ''
local user, partner = field('user'), field('partner')
for kind, name in pairs({token = id, user = user, partner = partner}) do
  if call('EXISTS', tag .. 'fz:' .. kind .. ':' .. name) == 1 then frozen = kind end
end
local places = ARGV[1] == 'session' and call('ZRANGE', tag .. 'kn:' .. id, 0, -1) or {}
local function said(name) return call('GET', tag .. name .. user) or '' end
return {id, caller, proofs, call('HVALS', tag .. 'gr:' .. user), frozen, over, said('cl:'), places, said('cc:'), sees,
  said('fv:'), said('nb:'), call('GET', tag .. 'sp:' .. partner) or ''}
