-- Confirms what is kept of reservations, and undoes the rest; each only of its own id.
--
-- KEYS: budgets
-- ARGV: for each reservation six strings: its id; the budgets it may stand in, two bytes for each (index of its key);
--       the floors among them, four bytes for each (index of its key, and of the key of those in use);
--       whom it keeps, and whom not: 20 bytes for each (hash, number of the record that counted them);
--       and who goes on where under which other hash: 34 bytes for each (index of the budget's key, both hashes)
-- Where somebody was confirmed by another one meanwhile they are counted once, from the later time on.

local CHUNK = 2000
local call = redis.call

local function settle(key, id, hashes, kept)
  for first = 1, #hashes, CHUNK * 20 do
    local members = {}
    for at = first, math.min(first + CHUNK * 20 - 1, #hashes), 20 do
      members[#members + 1] = string.sub(hashes, at, at + 15) .. id .. string.sub(hashes, at + 16, at + 19)
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

local function move(key, known, root)
  local score = call('ZSCORE', key, known)
  if score then
    call('ZADD', key, 'GT', score, root)
    call('ZREM', key, known)
  end
end

-- A floor is in use as of the latest person in it.
local function set_use(key, among)
  local name, latest = string.sub(key, #tag + 1), call('ZRANGE', key, 0, 0, 'REV', 'WITHSCORES')[2]
  if latest then call('ZADD', among, 'XX', latest, name) else call('ZREM', among, name) end
end

local function key_at(blob, at)
  local high, low = string.byte(blob, at, at + 1)
  return KEYS[1 + high * 256 + low]
end

for index = 1, #ARGV, 6 do
  local id, places, floors, kept, dropped, moved = unpack(ARGV, index, index + 5)
  for at = 1, #places, 2 do
    local key = key_at(places, at)
    settle(key, id, kept, true)
    settle(key, id, dropped, false)
  end
  for at = 1, #moved, 34 do
    move(key_at(moved, at), string.sub(moved, at + 2, at + 17), string.sub(moved, at + 18, at + 33))
  end
  for at = 1, #floors, 4 do set_use(key_at(floors, at), key_at(floors, at + 2)) end
end
return 1
