mod import;
mod known_devices;
mod login;
mod me;
mod passwords;
mod register;
