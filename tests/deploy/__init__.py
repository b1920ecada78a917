"""What can be checked of the deployment without Azure: the Bicep as trees, hooks against stand-ins, every command."""
