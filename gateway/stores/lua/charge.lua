-- The second half of a charge: what `charge_reading.lua`, which stands before this, has read is decided and written.
-- KEYS, ARGV and what is returned stand there.
--
-- `c` is one charge: its limits and all their parts, kinds, roots, the slots it knows, and what it plans to write.

local function slot(c, root, kind)
  local name = root .. char(kind)
  if c.slots[name] == nil then c.slots[name] = call('HGET', tag .. 'g:' .. root, c.kinds[kind]) end
  return c.slots[name]
end

local function link(c, root, kind, hash)
  c.plan.links[#c.plan.links + 1] = {root, c.kinds[kind], hash}
  c.roots[hash] = root
  c.slots[root .. char(kind)] = hash
  if hash == root then c.fresh[root] = true end
end

local function is_counted(c, hash, class)
  for _, part in ipairs(c.parts) do
    if class >= part.class and part.seen[hash] then return true end
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

-- The part of a limit in which a person is counted, and under which hash.
local function counted_in(limit, root, hashes)
  for _, part in ipairs(limit.parts) do
    if part.seen[root] then return part, root end
    local known
    for _, hash in ipairs(hashes) do known = known or part.seen[hash] and hash end
    if known then return part, known end
  end
end

-- The name under which a person is newly counted.
local function name_of(_, root) return root end

local function is_full(part) return part.used + #part.added >= part.most end

-- The part that takes one more: the limit itself, unless it is full and its floor is not.
local function taker(limit)
  local ground = limit.parts[2]
  if ground and is_full(limit) and not is_full(ground) then return ground end
  return limit
end

-- Counts one person where it is not counted yet (whoever is inside, in no outside limit). Returns in how many limits
-- that was, in which floors the person stands (a bit for each limit that has one, in order), and until when it is
-- counted in all of them.
local function count(c, root, hashes, class, outside)
  local new, floors, bit, till = 0, 0, 1, now + hash_ms
  for _, limit in ipairs(c.limits) do
    if class >= limit.class and (outside or not limit.outside) then
      local part, known = limit, root
      if not limit.seen[root] then part, known = counted_in(limit, root, hashes) end
      if not part then
        part = taker(limit)
        part.added[#part.added + 1] = name_of(c, root)
        part.seen[root] = now
        new = new + 1
      elseif known ~= root then
        c.plan.moves[#c.plan.moves + 1] = {part, known, root, c.record}
        part.seen[root] = part.seen[known]
      end
      till = math.min(till, part.seen[root] + part.window)
      if part ~= limit then floors = floors + bit end
    end
    if limit.parts[2] then bit = bit * 2 end
  end
  if new > 0 and c.roots[hashes[1]] and not c.fresh[root] then
    c.plan.touched[#c.plan.touched + 1] = {root, hashes}
  end
  return new, floors, till
end

-- Whether the answer for one person stays as it is (2: until any link is made; 1: whatever is linked; 0: who knows),
-- and until when, in seconds. Links that were not renewed may end sooner than what was counted under them.
local function settled(c, person, root, new, floors, till)
  if floors > 0 or #person.aliases > 0 then return 0, 0 end
  local how = 1
  for _, hash in ipairs(person.hashes) do
    if not c.roots[hash] then
      how = 2
    elseif new == 0 and not c.fresh[root] then
      till = math.min(till, now + call('PTTL', tag .. 'l:' .. hash))
    end
  end
  return how, math.max(floor(till / 1000), 0)
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
    local persons = resolve(c, person)
    for index, one in ipairs(persons) do
      local new, floors, till, how = 0, 0, 0, 0
      if person.class > 0 then
        new, floors, till = count(c, one[1], one[2], person.class, person.outside)
        if #persons == 1 then how, till = settled(c, person, one[1], new, floors, till) end
      end
      local into = index == 1 and first or more
      into[#into + 1] = struct.pack('>c16BBBI', one[1], math.min(new, 255), floors, how, how > 0 and till or 0)
      if index == 1 then alias(c, person, one[1]) end
    end
  end
  local all = #first + #more
  return char(floor(all / 256), all % 256) .. table.concat(first) .. table.concat(more)
end

-- In how many seconds a part alone has room for so many.
local function retry_of(part, asked)
  local leaving = part.used + part.before + asked - part.most - 1
  local since = now
  if leaving < part.used then
    local edge = '(' .. ms(now - part.window)
    since = tonumber(call('ZRANGEBYSCORE', part.key, edge, '+inf', 'WITHSCORES', 'LIMIT', leaving, 1)[2])
  end
  return math.max(1, math.ceil((since + part.window - now) / 1000))
end

-- When there is surely room: in a part that can take them alone, or when nobody is counted any more.
local function soonest(limit, asked)
  local most, seconds = 0, math.ceil(limit.window / 1000)
  for _, part in ipairs(limit.parts) do
    most = most + part.most
    if asked <= part.most then seconds = math.min(seconds, retry_of(part, asked)) end
  end
  return asked <= most and seconds or -1
end

local function violations_of(limits)
  local found = {}
  for index, limit in ipairs(limits) do
    if not limit.alarm and limit.used + #limit.added > limit.most and #limit.added > limit.before then
      local asked = 0
      for _, part in ipairs(limit.parts) do asked = asked + #part.added - part.before end
      found[#found + 1] = {index - 1, limit.used + limit.before, asked, soonest(limit, asked)}
    end
  end
  return found
end

local function shorten(list, length) for index = #list, length + 1, -1 do list[index] = nil end end

local function write_budget(part)
  local values, score = {}, ms(now)
  for _, root in ipairs(part.added) do
    values[#values + 1], values[#values + 2] = score, root
  end
  -- First of all writes: the one that a store without memory refuses, while nothing is written yet.
  in_chunks(values, function(first, last) call('ZADD', part.key, unpack(values, first, last)) end)
  if part.among then call('ZADD', part.among, 'GT', score, sub(part.key, #tag + 1)) end
  for _, key in ipairs({part.key, part.among}) do
    call('ZREMRANGEBYSCORE', key, '-inf', ms(now - part.window))
    call('PEXPIRE', key, ms(part.window + 60000))
  end
end

-- The new hashes of each root, after their kinds.
local function by_root(links)
  local found = {}
  for _, one in ipairs(links) do
    local hashes = found[one[1]] or {}
    found[one[1]] = hashes
    hashes[#hashes + 1], hashes[#hashes + 2] = one[2], one[3]
  end
  return found
end

local function write_links(plan)
  if #plan.links + #plan.aliases > 0 then linked = call('INCR', KEYS[4]) end
  for root, hashes in pairs(by_root(plan.links)) do
    call('HSET', tag .. 'g:' .. root, unpack(hashes))
    call('PEXPIRE', tag .. 'g:' .. root, group_ms)
  end
  for _, one in ipairs(plan.links) do call('SET', tag .. 'l:' .. one[3], one[1], 'PX', hash_ms) end
  for _, one in ipairs(plan.touched) do
    call('PEXPIRE', tag .. 'g:' .. one[1], group_ms)
    call('PEXPIRE', tag .. 'l:' .. one[1], hash_ms)
    for _, hash in ipairs(one[2]) do
      if hash ~= one[1] then call('PEXPIRE', tag .. 'l:' .. hash, hash_ms) end
    end
  end
  for _, one in ipairs(plan.aliases) do call('SET', tag .. 'l:' .. one[1], one[2], 'NX', 'PX', hash_ms) end
end

local function write_moves(moves)
  for _, move in ipairs(moves) do
    local score = call('ZSCORE', move[1].key, move[2])
    if score then
      call('ZADD', move[1].key, score, move[3])
      call('ZREM', move[1].key, move[2])
    end
  end
end

local function write(c)
  for _, part in ipairs(c.parts) do
    if #part.added > 0 then write_budget(part) end
  end
  write_moves(c.plan.moves)
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
    for _, part in ipairs(c.parts) do part.before = #part.added end
    c.record = #answers
    local answer = take(c, record)
    local violations = violations_of(c.limits)
    if #violations > 0 then
      for _, part in ipairs(c.parts) do shorten(part.added, part.before) end
      for name, list in pairs(plan) do shorten(list, before[name]) end
      return answers, violations
    end
    answers[#answers + 1] = answer
  end
  return answers, {}
end

local function charge(kinds_blob, limits_blob, records_blob)
  local limits = read_limits(limits_blob)
  local parts = parts_of(limits)
  local records, commit = read_records(records_blob)
  local roots = read_roots(records)
  read_counted(parts, candidates(records, roots))
  local c = {
    limits = limits, parts = parts, kinds = read_kinds(kinds_blob), roots = roots, slots = {}, fresh = {},
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
