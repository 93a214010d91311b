-- Put states in place of those that were read, all of them or none. 0: somebody came first.
--
-- ARGV, for each key: was there one (1 or 0), the known one, is there a new one, the new one, seconds it is kept
for i, key in ipairs(KEYS) do
    local at = (i - 1) * 5 + 1
    local found = redis.call('GET', key)
    local known = ARGV[at] == '1' and ARGV[at + 1] or false
    if found ~= known then
        return 0
    end
end
for i, key in ipairs(KEYS) do
    local at = (i - 1) * 5 + 1
    if ARGV[at + 2] == '1' then
        redis.call('SET', key, ARGV[at + 3], 'EX', ARGV[at + 4])
    else
        redis.call('DEL', key)
    end
end
return 1
