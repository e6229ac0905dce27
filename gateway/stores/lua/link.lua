-- Finds out who the persons of charges are, and links what their records link: for stores where the budgets are in other
-- slots than the links. `charge_reading.lua` and `charge.lua` stand before this.
--
-- KEYS: 1 epoch, 2 clock, 3 sequence, 4 number of links made
-- ARGV: as charge_reading.lua, with three strings for each charge: kinds; who is counted already ("": nobody has looked;
--       else a byte of how many classes its limits have, each in one byte, and 17 bytes for each of whom is counted: the
--       class of a limit that counts them, and a hash); records
-- Returns for each charge {}, where it matters who is counted and nobody has looked; else {records, more}: the records as
-- they are reserved, each person with its root first, and a byte for each person, 1 where an identifier turned out to be
-- one more.
--
-- 1. What is linked stays so, whether or not the charge is granted then: it is what the application says.
-- 2. A link is renewed once a day before it would end sooner than what is counted under it.

local DAY_MS = 86400000

local function read_parts(blob)
  local parts, of_class = {}, {}
  local classes = byte(blob, 1) or 0
  for at = 2, classes + 1 do
    local part = {class = byte(blob, at), seen = {}}
    parts[#parts + 1], of_class[part.class] = part, part
  end
  for at = classes + 2, #blob, 17 do of_class[byte(blob, at)].seen[sub(blob, at + 1, at + 16)] = true end
  return parts
end

-- Whether somebody is known by several identifiers of which none is linked: whichever is counted is who they are.
local function depends_on_counted(records, roots)
  for _, record in ipairs(records) do
    for _, person in ipairs(record) do
      local known = person.class == 0 or #person.hashes < 2
      for _, hash in ipairs(person.hashes) do known = known or roots[hash] end
      if not known then return true end
    end
  end
  return false
end

local function renew(c, root, hashes)
  if not c.roots[hashes[1]] or c.fresh[root] then return end
  if call('PTTL', tag .. 'l:' .. hashes[1]) < hash_ms - DAY_MS then
    c.plan.touched[#c.plan.touched + 1] = {root, hashes}
  end
end

local function packed(person, root, hashes)
  local list = {'\0' .. root}
  for _, hash in ipairs(hashes) do
    if hash ~= root and #list < 255 then list[#list + 1] = '\0' .. hash end
  end
  return char(person.class, person.outside and 1 or 0, #list, 0) .. table.concat(list)
end

local function link_record(c, record, more)
  local persons = {}
  for _, person in ipairs(record) do
    for index, one in ipairs(resolve(c, person)) do
      local root, hashes = one[1], one[2]
      persons[#persons + 1] = packed(person, root, hashes)
      more[#more + 1] = index > 1 and '\1' or '\0'
      if person.class > 0 then
        for _, part in ipairs(c.parts) do
          if person.class >= part.class then part.seen[root] = true end
        end
        renew(c, root, hashes)
      end
      if index == 1 then alias(c, person, root) end
    end
  end
  return char(floor(#persons / 256), #persons % 256) .. table.concat(persons)
end

local function linked(kinds_blob, counted_blob, records_blob)
  local records, commit = read_records(records_blob)
  local roots = read_roots(records)
  if counted_blob == '' and depends_on_counted(records, roots) then return {} end
  local c = {
    limits = {}, parts = read_parts(counted_blob), kinds = read_kinds(kinds_blob), roots = roots, slots = {},
    fresh = {}, plan = {links = {}, moves = {}, touched = {}, aliases = {}},
  }
  local answers, more = {sub(records_blob, 1, 1)}, {}
  for _, record in ipairs(records) do answers[#answers + 1] = link_record(c, record, more) end
  if commit then write_links(c.plan) end
  return {table.concat(answers), table.concat(more)}
end

local found = {}
for index = 5, #ARGV, 3 do found[#found + 1] = linked(ARGV[index], ARGV[index + 1], ARGV[index + 2]) end
return found
