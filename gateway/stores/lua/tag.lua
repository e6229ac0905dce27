-- Stands before every script: the hash tag of the slot that its keys are in, as it stands at the beginning of each of
-- them; empty where the store has no slots. Keys that a script makes the names of are in the same slot.
local tag = string.match(KEYS[1], '^{[^}]*}') or ''
