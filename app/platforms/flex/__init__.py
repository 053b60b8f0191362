"""What both generations of Twilio Flex's chat have in common: people answer in a chat that we open, fill and close."""
