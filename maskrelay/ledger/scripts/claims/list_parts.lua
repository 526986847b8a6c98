-- list_parts(job, start, stop) → how many parts are listed, then the parts from start to stop in order, each followed by
--   its comma-separated refused frames
--
-- A call asks for at most 1000 parts.
return list_parts(ARGV[1], ARGV[2], ARGV[3])
