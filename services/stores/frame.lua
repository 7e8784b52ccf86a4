-- What every script of a Redis store has around its operations. Redis runs a script from start to
-- end before anything else, and logs what it wrote as one transaction.
--
-- ARGV[1]  what all keys begin with
-- ARGV[2]  a token of this call, or nothing: an operation that was done is not done again when its
--          answer was lost and the call is repeated
-- ARGV[3]  the operation
-- ARGV[4]  its arguments, a JSON object whose values are strings
-- ARGV[5]  how many seconds the token is kept: longer than the caller goes on asking
--
-- An operation returns its answer, which begins with ok when it was done, and true when there was
-- nothing to do, so that repeating it does no harm.

local prefix, token, operation = ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = string.format('%d.%06d', clock[1], clock[2])

local function given(value)
  return value ~= nil and value ~= cjson.null
end

-- A hash as one JSON object: clients read that much faster than a list of fields.
local function record(key)
  local flat, found = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    found[flat[i]] = flat[i + 1]
  end
  return cjson.encode(found)
end

-- Why a fenced operation may not be done; nothing when it may.
local refusal

local operations = {}

--[[ operations ]]

local a = cjson.decode(ARGV[4])
local done = prefix .. 'done:' .. token
if token ~= '' then
  local answer = redis.call('GET', done)
  if answer then
    return cmsgpack.unpack(answer)
  end
end
local refused = given(a.fenced) and refusal(a)
if refused then
  return refused
end
local answer, nothing_done = operations[operation](a)
if token ~= '' and answer[1] == 'ok' and not nothing_done then
  redis.call('SET', done, cmsgpack.pack(answer), 'EX', ARGV[5])
end
return answer
