-- For how many seconds messages of a conversation's channel are kept. asked: {retention, retentions = {channel: seconds}}
local function retention_of(asked, cv) return asked.retentions[string.match(cv, '^[^/]*')] or asked.retention end
