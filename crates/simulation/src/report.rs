//! The figures as a table and as a picture.
