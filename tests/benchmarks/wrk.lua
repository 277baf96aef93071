-- wrk asks with the tokens of a file, one after the other: wrk ... URL -- FILE FIRST_LINE
local tokens, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    tokens[#tokens + 1] = line
  end
  at = tonumber(args[2])
end

function request()
  at = at % #tokens + 1
  return wrk.format("GET", nil, { ["Authorization"] = "Bearer " .. tokens[at] })
end
