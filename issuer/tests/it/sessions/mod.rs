mod cookies;
mod list;
mod logout;
mod refresh;
mod refresh_simulation;
mod revoke;
