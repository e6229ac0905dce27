-- Charges persons to budgets: each charge grants the longest prefix of whole records that fits all its limits.
--
-- KEYS: 1 epoch, 2 clock, 3 sequence, 4... budgets
-- ARGV: 1 now (ms), 2 epoch expected or "", 3 lowest sequence expected, 4 lifetime of links (ms),
--       then for each charge three strings: kinds, limits, records (layout: stores/charging_format.py)
-- Returns for each charge {granted, sequence, alarms, violations, persons}.
--
-- Rules of this file:
-- 1. All is read and decided before the first write; budgets are written before links.
-- 2. l:{hash} names the root of a group, g:{root} holds the one hash of each kind. A hash in no group has no l:.
--    g: lives longer than any l: that points to it, else one slot could be given twice.
-- 3. A hash that cannot join the group of its record is a person of its own.

local CHUNK = 3000
local call = redis.call
local byte, sub, char, floor = string.byte, string.sub, string.char, math.floor

local sequence = tonumber(call('GET', KEYS[3]) or '0')
if ARGV[2] ~= '' and call('GET', KEYS[1]) ~= ARGV[2] then
  return redis.error_reply('STORELOST the epoch is not the one expected')
end
if sequence < tonumber(ARGV[3]) then
  return redis.error_reply('STORELOST fewer charges than were acknowledged')
end

local clock = tonumber(call('GET', KEYS[2]) or '0')
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

local function read_limits(blob)
  local limits, at = {}, 1
  while at <= #blob do
    local key, most, window, class, alarm, outside
    key, most, window, class, alarm, outside, at = struct.unpack('>HIIBBB', blob, at)
    limits[#limits + 1] = {
      key = KEYS[4 + key], most = most, window = window * 1000, class = class, alarm = alarm == 1,
      outside = outside == 1, used = 0, added = {}, seen = {}, before = 0,
    }
  end
  return limits
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
          distinct[#distinct + 1], keys[#keys + 1] = hash, 'l:' .. hash
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

-- Who is counted in each limit already, and how many others are.
local function read_counted(limits, list, class_of)
  local lists = {}
  for _, limit in ipairs(limits) do
    local asked = lists[limit.class]
    if not asked then
      asked = {}
      for _, hash in ipairs(list) do
        if class_of[hash] >= limit.class and class_of[hash] > 0 then asked[#asked + 1] = hash end
      end
      lists[limit.class] = asked
    end
    if #asked > 0 then
      local edge, seen = now - limit.window, limit.seen
      limit.used = call('ZCOUNT', limit.key, '(' .. ms(edge), '+inf')
      if limit.used > 0 then
        in_chunks(asked, function(first, last)
          local scores = call('ZMSCORE', limit.key, unpack(asked, first, last))
          for index = first, last do
            local score = scores[index - first + 1]
            if score and tonumber(score) > edge then seen[asked[index]] = true end
          end
        end)
      end
    end
  end
end

-- From here on `c` is one charge: its limits, kinds, roots, the slots it knows, and what it plans to write.

local function slot(c, root, kind)
  local name = root .. char(kind)
  if c.slots[name] == nil then c.slots[name] = call('HGET', 'g:' .. root, c.kinds[kind]) end
  return c.slots[name]
end

local function link(c, root, kind, hash)
  c.plan.links[#c.plan.links + 1] = {root, c.kinds[kind], hash}
  c.roots[hash] = root
  c.slots[root .. char(kind)] = hash
  if hash == root then c.fresh[root] = true end
end

local function is_counted(c, hash, class)
  for _, limit in ipairs(c.limits) do
    if class >= limit.class and limit.seen[hash] then return true end
  end
  return false
end

-- The root of a person's group: one known already, else one counted already, else the anchor.
local function root_of(c, person)
  for _, hash in ipairs(person.hashes) do
    if c.roots[hash] then return c.roots[hash] end
  end
  for _, hash in ipairs(person.hashes) do
    if is_counted(c, hash, person.class) then return hash end
  end
  return person.hashes[1]
end

-- The hashes that are of the root's group already, the kind of the root where it has no group yet, and by index the
-- persons that hashes of other groups are.
local function members_of(c, person, root)
  local members, apart, root_kind = {}, {}, nil
  for index, hash in ipairs(person.hashes) do
    if c.roots[hash] == root then
      members[#members + 1] = hash
    elseif c.roots[hash] then
      apart[index] = {c.roots[hash], {hash}}
    elseif hash == root then
      members[#members + 1] = hash
      root_kind = person.kinds[index]
      c.slots[root .. char(root_kind)] = hash
    end
  end
  return members, apart, root_kind
end

-- Lets the hashes that are in no group join the root's, or be persons of their own.
local function join(c, person, root, members, apart, root_kind)
  local joining = {}
  for index, hash in ipairs(person.hashes) do
    if not c.roots[hash] and hash ~= root then
      local kind = person.kinds[index]
      local held = slot(c, root, kind)
      if not held or held == hash then
        members[#members + 1] = hash
        joining[#joining + 1] = index
        c.slots[root .. char(kind)] = hash
      else
        apart[index] = {hash, {hash}}
      end
    end
  end
  if #joining > 0 and root_kind then link(c, root, root_kind, root) end
  for _, index in ipairs(joining) do link(c, root, person.kinds[index], person.hashes[index]) end
end

-- The persons that the identifiers of one person turn out to be: {root, hashes}; the anchor's first.
local function resolve(c, person)
  local hashes = person.hashes
  if #hashes == 1 or person.class == 0 then return {{c.roots[hashes[1]] or hashes[1], {hashes[1]}}} end
  local root = root_of(c, person)
  local members, apart, root_kind = members_of(c, person, root)
  join(c, person, root, members, apart, root_kind)
  local persons, anchored = {}, not apart[1]
  if anchored then persons[1] = {root, members} end
  for index = 1, #hashes do
    if apart[index] then persons[#persons + 1] = apart[index] end
  end
  if not anchored then persons[#persons + 1] = {root, members} end
  return persons
end

-- Counts one person where it is not counted yet (whoever is inside, in no outside limit); returns in how many.
local function count(c, root, hashes, class, outside)
  local new = 0
  for _, limit in ipairs(c.limits) do
    local seen = limit.seen
    if class >= limit.class and (outside or not limit.outside) and not seen[root] then
      local known
      for _, hash in ipairs(hashes) do known = known or seen[hash] and hash end
      if known then
        c.plan.moves[#c.plan.moves + 1] = {limit, known, root}
      else
        limit.added[#limit.added + 1] = root
        new = new + 1
      end
      seen[root] = true
    end
  end
  if new > 0 and c.roots[hashes[1]] and not c.fresh[root] then
    c.plan.touched[#c.plan.touched + 1] = {root, hashes}
  end
  return new
end

local function alias(c, person, root)
  if #person.aliases == 0 then return end
  if c.roots[root] == false then link(c, root, person.kinds[1], root) end
  c.plan.touched[#c.plan.touched + 1] = {root, {}}
  for _, hash in ipairs(person.aliases) do
    c.plan.aliases[#c.plan.aliases + 1] = {hash, root}
    if c.roots[hash] == false then c.roots[hash] = root end
  end
end

local function take(c, record)
  local first, more = {}, {}
  for _, person in ipairs(record) do
    for index, one in ipairs(resolve(c, person)) do
      local new = 0
      if person.class > 0 then new = count(c, one[1], one[2], person.class, person.outside) end
      local into = index == 1 and first or more
      into[#into + 1] = one[1] .. char(math.min(new, 255))
      if index == 1 then alias(c, person, one[1]) end
    end
  end
  local all = #first + #more
  return char(floor(all / 256), all % 256) .. table.concat(first) .. table.concat(more)
end

local function retry_of(limit, asked)
  if asked > limit.most then return -1 end
  local leaving = limit.used + limit.before + asked - limit.most - 1
  local since = now
  if leaving < limit.used then
    local edge = '(' .. ms(now - limit.window)
    since = tonumber(call('ZRANGEBYSCORE', limit.key, edge, '+inf', 'WITHSCORES', 'LIMIT', leaving, 1)[2])
  end
  return math.max(1, math.ceil((since + limit.window - now) / 1000))
end

local function violations_of(limits)
  local found = {}
  for index, limit in ipairs(limits) do
    local asked = #limit.added - limit.before
    if asked > 0 and not limit.alarm and limit.used + #limit.added > limit.most then
      found[#found + 1] = {index - 1, limit.used + limit.before, asked, retry_of(limit, asked)}
    end
  end
  return found
end

local function shorten(list, length) for index = #list, length + 1, -1 do list[index] = nil end end

local function write_budget(limit)
  local values, score = {}, ms(now)
  for _, root in ipairs(limit.added) do
    values[#values + 1], values[#values + 2] = score, root
  end
  -- First of all writes: the one that a store without memory refuses, while nothing is written yet.
  in_chunks(values, function(first, last) call('ZADD', limit.key, unpack(values, first, last)) end)
  call('ZREMRANGEBYSCORE', limit.key, '-inf', ms(now - limit.window))
  call('PEXPIRE', limit.key, ms(limit.window + 60000))
end

local function write_links(plan)
  for _, one in ipairs(plan.links) do
    call('HSET', 'g:' .. one[1], one[2], one[3])
    call('PEXPIRE', 'g:' .. one[1], group_ms)
    call('SET', 'l:' .. one[3], one[1], 'PX', hash_ms)
  end
  for _, one in ipairs(plan.touched) do
    call('PEXPIRE', 'g:' .. one[1], group_ms)
    call('PEXPIRE', 'l:' .. one[1], hash_ms)
    for _, hash in ipairs(one[2]) do
      if hash ~= one[1] then call('PEXPIRE', 'l:' .. hash, hash_ms) end
    end
  end
  for _, one in ipairs(plan.aliases) do call('SET', 'l:' .. one[1], one[2], 'NX', 'PX', hash_ms) end
end

local function write(c)
  for _, limit in ipairs(c.limits) do
    if #limit.added > 0 then write_budget(limit) end
  end
  for _, move in ipairs(c.plan.moves) do
    local score = call('ZSCORE', move[1].key, move[2])
    if score then
      call('ZADD', move[1].key, score, move[3])
      call('ZREM', move[1].key, move[2])
    end
  end
  write_links(c.plan)
  sequence = call('INCR', KEYS[3])
  if now > clock then
    clock = now
    call('SET', KEYS[2], ms(now))
  end
end

-- Takes records until one does not fit; what that one planned is dropped again.
local function take_what_fits(c, records)
  local plan, answers = c.plan, {}
  for _, record in ipairs(records) do
    local before = {}
    for name, list in pairs(plan) do before[name] = #list end
    for _, limit in ipairs(c.limits) do limit.before = #limit.added end
    local answer = take(c, record)
    local violations = violations_of(c.limits)
    if #violations > 0 then
      for _, limit in ipairs(c.limits) do shorten(limit.added, limit.before) end
      for name, list in pairs(plan) do shorten(list, before[name]) end
      return answers, violations
    end
    answers[#answers + 1] = answer
  end
  return answers, {}
end

local function charge(kinds_blob, limits_blob, records_blob)
  local limits = read_limits(limits_blob)
  local records, commit = read_records(records_blob)
  local roots = read_roots(records)
  read_counted(limits, candidates(records, roots))
  local c = {
    limits = limits, kinds = read_kinds(kinds_blob), roots = roots, slots = {}, fresh = {},
    plan = {links = {}, moves = {}, touched = {}, aliases = {}},
  }
  local answers, violations = take_what_fits(c, records)
  local alarms, number = {}, 0
  if commit and #answers > 0 then
    for index, limit in ipairs(limits) do
      if limit.alarm and limit.used <= limit.most and limit.used + #limit.added > limit.most then
        alarms[#alarms + 1] = index - 1
      end
    end
    write(c)
    number = sequence
  end
  return {#answers, number, alarms, violations, table.concat(answers)}
end

local outcomes = {}
for index = 5, #ARGV, 3 do
  outcomes[#outcomes + 1] = charge(ARGV[index], ARGV[index + 1], ARGV[index + 2])
end
return outcomes
