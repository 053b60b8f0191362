"""Destination `openai`: a model behind any server that speaks OpenAI's API, as Chat Completions or as Responses."""
