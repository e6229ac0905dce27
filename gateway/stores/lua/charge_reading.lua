-- Charges persons to budgets: each charge grants the longest prefix of whole records that fits all its limits.
-- This is its first half: what is asked, and what is counted already. `charge.lua` is appended; it decides and writes.
--
-- KEYS: 1 epoch, 2 clock, 3 sequence, 4 number of links made, 5... budgets
-- ARGV: 1 now (ms), 2 epoch expected or "", 3 lowest sequence expected, 4 lifetime of links (ms),
--       then for each charge three strings: kinds, limits, records (layout: stores/charging_format.py)
-- Returns the number of links made before and after it, and for each charge
-- {granted, sequence, alarms, violations, persons}.
--
-- Rules of this file:
-- 1. All is read and decided before the first write; budgets are written before links.
-- 2. l:{hash} names the root of a group, g:{root} holds the one hash of each kind. A hash in no group has no l:.
--    g: lives longer than any l: that points to it, else one slot could be given twice.
-- 3. A limit may have a floor: whoever does not fit it any more is counted in the floor, while there is room. The limit
--    and its floor are its parts; whoever stands in one of them is counted. Nobody is newly counted in both.
--    A floor in use stands among those of its limit, by its key's name, with the time of the latest person in it.
-- 4. A hash that cannot join the group of its record is a person of its own.

local CHUNK = 3000
local NO_FLOOR = 65535
local call = redis.call
local byte, sub, char, floor = string.byte, string.sub, string.char, math.floor

local stood = call('MGET', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
local clock, sequence, linked = tonumber(stood[2] or '0'), tonumber(stood[3] or '0'), tonumber(stood[4] or '0')
if ARGV[2] ~= '' and stood[1] ~= ARGV[2] then
  return redis.error_reply('STORELOST the epoch is not the one expected')
end
if sequence < tonumber(ARGV[3]) then
  return redis.error_reply('STORELOST fewer charges than were acknowledged')
end

local now = math.max(tonumber(ARGV[1]), clock)

local function ms(value) return string.format('%.0f', value) end
local hash_ms, group_ms = ARGV[4], ms(ARGV[4] + 86400000)

local function in_chunks(list, act)
  for first = 1, #list, CHUNK do act(first, math.min(first + CHUNK - 1, #list)) end
end

local function read_kinds(blob)
  local kinds = {}
  for kind in string.gmatch(blob, '[^\n]+') do kinds[#kinds + 1] = kind end
  return kinds
end

local function new_part(key, most, window, class)
  return {
    key = KEYS[5 + key], most = most, window = window * 1000, class = class,
    used = 0, added = {}, seen = {}, before = 0,
  }
end

local function read_limits(blob)
  local limits, at = {}, 1
  while at <= #blob do
    local key, most, window, class, alarm, outside, own, own_most, among, seats
    key, most, window, class, alarm, outside, own, own_most, among, seats, at = struct.unpack('>HIIBBBHIHI', blob, at)
    local limit = new_part(key, most, window, class)
    limit.alarm, limit.outside, limit.parts = alarm == 1, outside == 1, {limit}
    if own ~= NO_FLOOR then
      local ground = new_part(own, own_most, window, class)
      ground.among, ground.seats = KEYS[5 + among], seats
      limit.parts[2] = ground
    end
    limits[#limits + 1] = limit
  end
  return limits
end

-- Every limit and every floor.
local function parts_of(limits)
  local all = {}
  for _, limit in ipairs(limits) do
    for _, part in ipairs(limit.parts) do all[#all + 1] = part end
  end
  return all
end

-- A record is a list of persons {class, outside, hashes, kinds, aliases}; kinds are indexes.
local function read_records(blob)
  local records, at = {}, 2
  while at <= #blob do
    local high, low = byte(blob, at, at + 1)
    at = at + 2
    local record = {}
    for index = 1, high * 256 + low do
      local class, outside, hashes_n, aliases_n = byte(blob, at, at + 3)
      at = at + 4
      local hashes, of_kind, aliases = {}, {}, {}
      for one = 1, hashes_n do
        of_kind[one], hashes[one] = byte(blob, at) + 1, sub(blob, at + 1, at + 16)
        at = at + 17
      end
      for one = 1, aliases_n do aliases[one] = sub(blob, at + 16 * one - 16, at + 16 * one - 1) end
      at = at + 16 * aliases_n
      record[index] = {class = class, outside = outside == 1, hashes = hashes, kinds = of_kind, aliases = aliases}
    end
    records[#records + 1] = record
  end
  return records, byte(blob, 1) == 1
end

-- Every distinct hash of the records with its root, or false where it is in no group.
local function read_roots(records)
  local distinct, keys, roots = {}, {}, {}
  for _, record in ipairs(records) do
    for _, person in ipairs(record) do
      for _, hash in ipairs(person.hashes) do
        if roots[hash] == nil then
          roots[hash] = false
          distinct[#distinct + 1], keys[#keys + 1] = hash, tag .. 'l:' .. hash
        end
      end
    end
  end
  in_chunks(keys, function(first, last)
    local found = call('MGET', unpack(keys, first, last))
    for index = first, last do roots[distinct[index]] = found[index - first + 1] end
  end)
  return roots
end

-- Every hash and root that may be counted, with the highest class it may be charged at: where a record links, a hash
-- may come to stand for any other of this charge.
local function candidates(records, roots)
  local list, class_of, highest, linking = {}, {}, 0, false
  local function add(hash, class)
    if not class_of[hash] then list[#list + 1] = hash end
    class_of[hash] = math.max(class, class_of[hash] or 0)
  end
  for _, record in ipairs(records) do
    for _, person in ipairs(record) do
      linking = linking or #person.hashes > 1 or #person.aliases > 0
      highest = math.max(highest, person.class)
      for _, hash in ipairs(person.hashes) do
        add(hash, person.class)
        if roots[hash] then add(roots[hash], person.class) end
      end
    end
  end
  for _, hash in ipairs(linking and list or {}) do class_of[hash] = highest end
  return list, class_of
end

-- Whether as many other floors are in use as there may be.
local function is_left_out(part, edge)
  if not part.among or part.used > 0 then return false end
  return call('ZCOUNT', part.among, '(' .. ms(edge), '+inf') >= part.seats
end

-- Who is counted in each part of a limit already, and how many others are.
local function read_counted(parts, list, class_of)
  local lists = {}
  for _, part in ipairs(parts) do
    local asked = lists[part.class]
    if not asked then
      asked = {}
      for _, hash in ipairs(list) do
        if class_of[hash] >= part.class and class_of[hash] > 0 then asked[#asked + 1] = hash end
      end
      lists[part.class] = asked
    end
    if #asked > 0 then
      local edge, seen = now - part.window, part.seen
      part.used = call('ZCOUNT', part.key, '(' .. ms(edge), '+inf')
      if is_left_out(part, edge) then part.most = 0 end
      if part.used > 0 then
        in_chunks(asked, function(first, last)
          local scores = call('ZMSCORE', part.key, unpack(asked, first, last))
          for index = first, last do
            local score = scores[index - first + 1]
            score = score and tonumber(score)
            if score and score > edge then seen[asked[index]] = score end
          end
        end)
      end
    end
  end
end
