"""What `shared.ports` promises, held against the fakes and against the real adapters alike.

`real` is the app's own composition (`shared.app.azure_ports`) on Azurite and on the ACS emulator. What only a server
can show (headers, status codes, lost answers) follows in each module for the real side alone.
"""
