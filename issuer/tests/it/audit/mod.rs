mod events;
mod tampering;
