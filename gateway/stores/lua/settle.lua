-- Confirms what is kept of reservations, and undoes the rest; each only of its own id.
--
-- KEYS: budgets
-- ARGV: for each reservation five strings: its id; the budgets it may stand in, two bytes for each (index of its key);
--       whom it keeps, and whom not: 16 bytes for each; and of whom it keeps, who goes on under which other hash: 32
-- Where somebody was confirmed by another one meanwhile they are counted once, from the later time on.

local CHUNK = 2000
local call = redis.call

local function settle(key, id, hashes, kept)
  for first = 1, #hashes, CHUNK * 16 do
    local members = {}
    for at = first, math.min(first + CHUNK * 16, #hashes) - 1, 16 do
      members[#members + 1] = string.sub(hashes, at, at + 15) .. id
    end
    local confirmed, gone = {}, {}
    for index, score in ipairs(call('ZMSCORE', key, unpack(members))) do
      if score then
        gone[#gone + 1] = members[index]
        confirmed[#confirmed + 1] = score
        confirmed[#confirmed + 1] = string.sub(members[index], 1, 16)
      end
    end
    if kept and #confirmed > 0 then call('ZADD', key, 'GT', unpack(confirmed)) end
    if #gone > 0 then call('ZREM', key, unpack(gone)) end
  end
end

local function move(key, pairs_of)
  for at = 1, #pairs_of, 32 do
    local known = string.sub(pairs_of, at, at + 15)
    local score = call('ZSCORE', key, known)
    if score then
      call('ZADD', key, 'GT', score, string.sub(pairs_of, at + 16, at + 31))
      call('ZREM', key, known)
    end
  end
end

for index = 1, #ARGV, 5 do
  local id, places = ARGV[index], ARGV[index + 1]
  for at = 1, #places, 2 do
    local high, low = string.byte(places, at, at + 1)
    local key = KEYS[1 + high * 256 + low]
    settle(key, id, ARGV[index + 2], true)
    settle(key, id, ARGV[index + 3], false)
    move(key, ARGV[index + 4])
  end
end
return 1
