//! The demo people somebody can continue as. Invented accounts under a domain that nobody can own (RFC 2606).

/// One demo account.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// Names the account in the consent form.
    pub(crate) key: &'static str,
    /// The provider's stable id, `sub`.
    pub(crate) subject: &'static str,
    pub(crate) name: &'static str,
    pub(crate) username: &'static str,
    pub(crate) email: &'static str,
    /// One of them is not verified, because an application must cope with that.
    pub(crate) email_verified: bool,
}

/// Everybody; the first one is the page's main button.
pub(crate) static PEOPLE: [Person; 3] = [
    Person {
        key: "ada",
        subject: "user_AdaLovelace1815",
        name: "Ada Lovelace",
        username: "ada",
        email: "ada@sandbox.example",
        email_verified: true,
    },
    Person {
        key: "grace",
        subject: "user_GraceHopper1906",
        name: "Grace Hopper",
        username: "grace",
        email: "grace@sandbox.example",
        email_verified: true,
    },
    Person {
        key: "alan",
        subject: "user_AlanTuring1912",
        name: "Alan Turing",
        username: "alan",
        email: "alan@sandbox.example",
        email_verified: false,
    },
];

/// The account with this key.
pub(crate) fn find(key: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.key == key)
}
