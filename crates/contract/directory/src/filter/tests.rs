use super::*;
use crate::{MailFlow, Quota, Role};
use base::{AccountId, Address, Timestamp};

fn somebody() -> Account {
    let mut account = Account {
        id: AccountId(7),
        kind: AccountKind::User,
        address: Address::new("Shy", "rialto.test"),
        aliases: vec![Address::new("lender", "other.test")],
        display_name: "Shylock O'Venice".into(),
        enabled: true,
        quota: Quota::default(),
        send_as: Vec::new(),
        full_access: Vec::new(),
        smtp_sent_copy: false,
        litigation_hold: false,
        role: Role::None,
        created: Timestamp::default(),
        credentials: 0,
        flow: MailFlow::default(),
        attributes: crate::Attributes::default(),
    };
    account.attributes.set(Attribute::Department, "Sales & Loans");
    account.attributes.set(Attribute::City, "VENICE");
    account.attributes.set(Attribute::Custom(3), "a*b");
    account
}

#[test]
fn filters_find_whom_they_mean() {
    let account = somebody();
    let check = |text: &str, expect: bool| {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.matches(&account), expect, "{text}");
    };
    check("department = 'sales & loans'", true);
    check("Department -eq \"Sales & Loans\" -and kind -eq 'user'", true);
    check("department = 'Sales'", false);
    check("department != 'Sales'", true);
    check("department <> 'Sales & Loans'", false);
    check("department like 'sales*'", true);
    check("department like '*loans'", true);
    check("department like '*es*oa*'", true);
    check("department like 'sales'", false);
    check("department like '*x*'", false);
    check("department notlike 'sales*'", false);
    check("custom3 = 'A*B'", true);
    check("custom3 like 'a*b'", true);
    check("CustomAttribute3 like '*'", true);
    check("state = ''", true);
    check("state != 'Veneto'", true);
    check("state is empty", true);
    check("city is not empty", true);
    check("city is empty", false);
    check("city in ('Padua', 'Venice')", true);
    check("city not in ('Padua', 'Venice')", false);
    check("city in ('Padua')", false);
    check("kind in ('room', 'equipment')", false);
    check("name = 'shylock o''venice'", true);
    check("name like \"*O'V*\"", true);
    check("domain = 'RIALTO.test'", true);
    check("domain = 'other.test'", false);
    check("address = 'lender@other.test'", true);
    check("address like '*@far.test'", false);
    check("all users", true);
    check("all mailboxes", true);
    check("all recipients", true);
    check("all contacts", false);
    check("all users and not city = 'Padua'", true);
    check("!city = 'Venice'", false);
    check("not not city = 'Venice'", true);
    // "and" is stronger than "or".
    check("city = 'Venice' or city = 'x' and city = 'y'", true);
    check("(city = 'Venice' or city = 'x') and city = 'y'", false);
    check(" ( ( city='Venice' ) ) ", true);
    check("city = 'x' OR Kind = 'User' AND Not Office like '?*'", true);
}

#[test]
fn flaws_are_told_with_their_place() {
    let check = |text: &str, expect: &str| {
        let error = Filter::parse(text).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert_eq!(error.kind, base::Kind::Invalid);
        assert!(error.text.contains(expect), "{text}: {}", error.text);
        assert!(!error.text.chars().any(char::is_control), "{:?}", error.text);
    };
    check("", "character 1: kind, name, address");
    check("   ", "character 4: kind, name");
    check("department", "character 11: =, !=, like, notlike, in or is is expected, not the end");
    check("department = Sales", "character 14: a value in quotes is expected, not `sales`");
    check("department = 'Sales", "character 14: this quote has no end");
    check("age = '7'", "character 1: `age` is none of kind, name");
    check("city = 'a' and", "character 15: kind");
    check("city = 'a' city = 'b'", "character 12: and, or, or the end is expected, not `city`");
    check("(city = 'a'", "character 12: `)` is expected, not the end");
    check("city = 'a')", "character 11: and, or");
    check("kind = 'person'", "character 8: no kind: it is one of user, shared");
    check("kind in ('user', 'users')", "character 18: no kind");
    check("city in 'a'", "character 9: `(` is expected, not 'a'");
    check("city in ()", "character 10: a value in quotes");
    check("city not like 'x'", "character 10: in is expected");
    check("city is 'x'", "character 9: empty is expected");
    check("all", "character 4: users, mailboxes");
    check("city ~ 'x'", "character 6: '~' means nothing here");
    check("city < 'x'", "character 6: '<' means");
    check("city - 'x'", "character 6: a hyphen");
    check("città = 'x'", "character 5: 'à'");
    check("city = '\u{e9}' x", "character 12: and, or");
    check("name = 'a\nb' 'x\ny'", "'x\\ny'");
    check(&"(".repeat(40), "character 34: nested more than 32 deep");
    check(&format!("{}city = 'x'", "not ".repeat(40)), "nested more than 32 deep");
    check(&format!("city = '{}'", "x".repeat(4_096)), "more than 4096 bytes");
    let many = vec!["'x'"; 201].join(",");
    check(&format!("city in ({many})"), "more than 200 values");
}

#[test]
fn a_pattern_is_matched_in_order_and_nothing_twice() {
    let check = |pattern: &str, text: &str, expect: bool| {
        let parts: Vec<String> = pattern.split('*').map(str::to_owned).collect();
        assert_eq!(is_like(&parts, text), expect, "{pattern} {text}");
    };
    check("", "", true);
    check("*", "", true);
    check("**", "x", true);
    check("a*a", "a", false);
    check("a*a", "aa", true);
    check("ab*ba", "aba", false);
    check("*b*a", "ab", false);
    check("a*b*c", "a-b-b-c", true);
    check("a*c*b*c", "abc", false);
    check("é*", "élodie", true);
}
