mod cookies;
mod device_names;
mod last_use;
mod list;
mod logout;
mod refresh;
mod refresh_simulation;
mod revoke;
