"""What the stand-ins for Twilio's products share: how REST reads and answers, what is kept, how webhooks go out."""
