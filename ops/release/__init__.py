"""
A release played by simulated citizens: real HTTP through the gateway, real mails, a real bank of sand.

Used by `antrean demo` and by `antrean up --release`. Knows the API as any client
does and looks into no store; what became of everything is the audit's to say.
"""
