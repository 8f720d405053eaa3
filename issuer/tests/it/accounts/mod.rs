mod change_email;
mod change_password;
mod login;
mod me;
mod own_data;
mod register;
mod reset_password;
mod verify_email;
